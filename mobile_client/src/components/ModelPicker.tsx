import {useMemo, useState} from 'react';
import {Pressable, View} from 'react-native';

import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import type {Model} from '../services/api';
import {isModel} from '../services/calls';
import {radius, space, touch} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import type {Capability} from '../utils/constants';
import {fold} from '../utils/helpers';
import {Button} from './Button';
import {Field} from './Field';
import {Icon} from './Icon';
import {Sheet} from './Sheet';
import {StandIn} from './StandIn';
import {Words} from './Words';

type ModelPickerProps = {capability: Capability; value: string; onChange: (model: string) => void; label?: string};

const serverChoice: Model = {name: '', placeholder: false, state: 'served'};

/** The server's choice, one of its list, or any name typed in. */
export function ModelPicker({capability, value, onChange, label}: ModelPickerProps) {
  const t = useText();
  const {colors} = useTheme();
  const [open, setOpen] = useState(false);
  return (
    <View style={{gap: space.tiny}}>
      <Words look="small" style={{fontWeight: '600'}} color={colors.text}>
        {label ?? t('model')}
      </Words>
      <Pressable
        role="button"
        accessibilityLabel={`${label ?? t('model')}: ${value || t('serverChoice')}`}
        onPress={() => setOpen(true)}
        style={{
          minHeight: touch,
          borderWidth: 1,
          borderColor: colors.edge,
          borderRadius: radius.medium,
          paddingHorizontal: space.medium,
          paddingVertical: space.small,
          flexDirection: 'row',
          alignItems: 'center',
          gap: space.small,
          backgroundColor: colors.surface,
        }}>
        <Words style={{flex: 1}}>{value || t('serverChoice')}</Words>
        <Icon name="down" color={colors.quiet} size={18} />
      </Pressable>
      <ModelSheet
        capability={capability}
        value={value}
        open={open}
        onClose={() => setOpen(false)}
        onChange={(model) => {
          setOpen(false);
          onChange(model);
        }}
      />
    </View>
  );
}

export function ModelSheet({capability, value, open, onClose, onChange, title}: ModelPickerProps & {open: boolean; onClose: () => void; title?: string}) {
  const t = useText();
  const {colors} = useTheme();
  const services = useServices();
  useStore(services.models);
  const [query, setQuery] = useState('');
  const models = services.modelsFor(capability);
  const shown = useMemo(() => models.filter(({name}) => fold(name).includes(fold(query))), [models, query]);
  const typed = query.trim();
  const choose = (name: string) => {
    setQuery('');
    onChange(name);
  };
  return (
    <Sheet open={open} title={title ?? t('chooseModel')} onClose={onClose}>
      <Field
        label={t('searchModels')}
        hint={t('modelHint')}
        value={query}
        onChangeText={setQuery}
        autoCapitalize="none"
        autoCorrect={false}
      />
      {typed !== '' && isModel(typed) && !models.some(({name}) => name === typed) && (
        <Button icon="check" label={t('useModel', {model: typed})} onPress={() => choose(typed)} />
      )}
      <View role="radiogroup" aria-label={t('model')}>
        {[serverChoice, ...shown].map(({name, placeholder, state}) => (
          <Pressable
            key={name}
            role="radio"
            aria-checked={name === value}
            accessibilityState={{checked: name === value}}
            onPress={() => choose(name)}
            style={({pressed}) => ({
              minHeight: touch,
              flexDirection: 'row',
              alignItems: 'center',
              gap: space.small,
              padding: space.small,
              borderRadius: radius.small,
              backgroundColor: pressed ? colors.raised : 'transparent',
            })}>
            <View style={{flex: 1, gap: space.hair}}>
              <Words style={{fontWeight: name === value ? '600' : '400'}}>{name || t('serverChoice')}</Words>
              {placeholder && <StandIn short />}
              {state === 'away' && <Words look="small">{t('modelAway')}</Words>}
            </View>
            {name === value && <Icon name="check" color={colors.accent} />}
          </Pressable>
        ))}
      </View>
    </Sheet>
  );
}
