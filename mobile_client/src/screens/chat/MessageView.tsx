import {memo, useState} from 'react';
import {View} from 'react-native';

import {IconButton} from '../../components/Button';
import {Markdown} from '../../components/Markdown';
import {StandIn} from '../../components/StandIn';
import {Words} from '../../components/Words';
import {useText} from '../../i18n';
import type {Message} from '../../services/chats';
import {copyText} from '../../services/files';
import {radius, space} from '../../theme/tokens';
import {useTheme} from '../../theme/ThemeContext';

export type MessageActions = {
  onEdit(message: Message): void;
  onRegenerate(message: Message): void;
  onOtherModel(message: Message): void;
  onFork(message: Message): void;
  onSpeak(message: Message): void;
};

/** One message and what can be done with it. */
export const MessageView = memo(function MessageView({message, actions, speaking}: {message: Message; actions: MessageActions; speaking: boolean}) {
  const t = useText();
  const {colors} = useTheme();
  const [copied, setCopied] = useState(false);
  const mine = message.role === 'user';
  const copy = <IconButton icon={copied ? 'check' : 'copy'} label={copied ? t('copied') : t('copyMessage')} color={colors.quiet} onPress={() => void copyText(message.content).then(() => setCopied(true))} />;
  return (
    <View role="group" aria-label={mine ? t('you') : t('assistant')} style={{alignItems: mine ? 'flex-end' : 'stretch', gap: space.hair}}>
      <View
        style={{
          maxWidth: mine ? '88%' : '100%',
          backgroundColor: mine ? colors.accentSoft : colors.surface,
          borderWidth: mine ? 0 : 1,
          borderColor: colors.line,
          borderRadius: radius.large,
          padding: space.medium,
          gap: space.small,
        }}>
        {message.placeholder && <StandIn short />}
        {mine ? (
          <Words selectable color={colors.onAccentSoft}>
            {message.content}
          </Words>
        ) : (
          <Markdown text={message.content} />
        )}
        {message.partial && <Words look="small">{t('stoppedHere')}</Words>}
      </View>
      <View style={{flexDirection: 'row', alignItems: 'center', flexWrap: 'wrap'}}>
        {copy}
        {mine ? (
          <IconButton icon="edit" label={t('editMessage')} color={colors.quiet} onPress={() => actions.onEdit(message)} />
        ) : (
          <>
            <IconButton icon={speaking ? 'stop' : 'speak'} label={speaking ? t('stop') : t('readAloud')} color={colors.quiet} onPress={() => actions.onSpeak(message)} />
            <IconButton icon="refresh" label={t('regenerate')} color={colors.quiet} onPress={() => actions.onRegenerate(message)} />
            <IconButton icon="server" label={t('otherModel')} color={colors.quiet} onPress={() => actions.onOtherModel(message)} />
            <IconButton icon="fork" label={t('fork')} color={colors.quiet} onPress={() => actions.onFork(message)} />
          </>
        )}
        {!mine && message.model !== undefined && (
          <Words look="small" style={{flexShrink: 1}}>
            {message.model}
          </Words>
        )}
      </View>
    </View>
  );
});
