import {Button} from '../../components/Button';
import {Field} from '../../components/Field';
import {Row} from '../../components/Layout';
import {ModelPicker} from '../../components/ModelPicker';
import {Sheet} from '../../components/Sheet';
import {Slider} from '../../components/Slider';
import {Words} from '../../components/Words';
import {useServices} from '../../hooks/useServices';
import {useText} from '../../i18n';
import type {Key} from '../../i18n/en';
import type {Conversation} from '../../services/chats';

const presets: {title: Key; text: Key}[] = [
  {title: 'presetBrief', text: 'presetBriefText'},
  {title: 'presetTeacher', text: 'presetTeacherText'},
  {title: 'presetTranslator', text: 'presetTranslatorText'},
];

/** Who answers a conversation, and how. */
export function ChatOptions({chat, open, onClose}: {chat: Conversation; open: boolean; onClose: () => void}) {
  const t = useText();
  const {chats} = useServices();
  return (
    <Sheet open={open} title={t('chatOptions')} onClose={onClose}>
      <ModelPicker capability="llm" value={chat.model} onChange={(model) => void chats.set(chat.id, {model})} />
      <Field label={t('systemPrompt')} hint={t('systemHint')} lines={3} value={chat.system} onChangeText={(system) => void chats.set(chat.id, {system})} />
      <Words look="small">{t('presets')}</Words>
      <Row>
        {presets.map((preset) => (
          <Button key={preset.title} label={t(preset.title)} onPress={() => void chats.set(chat.id, {system: t(preset.text)})} />
        ))}
      </Row>
      <Slider label={t('temperature')} value={chat.temperature} min={0} max={2} step={0.1} onChange={(temperature) => void chats.set(chat.id, {temperature})} />
      <Slider label={t('maxTokens')} value={chat.maxTokens} min={64} max={4096} step={64} onChange={(maxTokens) => void chats.set(chat.id, {maxTokens})} />
    </Sheet>
  );
}
